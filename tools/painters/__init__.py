"""The painters of the built-in styles: numpy and Pillow only, no photo and no copied artwork goes in.

A painter is a function of the canvas's side and a random generator and returns the colours of the canvas.
"""
