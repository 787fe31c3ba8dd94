# nst-daemon plug-in @VERSION@
"""Qt as this Krita has it: 5 up to Krita 5, 6 from Krita 6. Two of them in one process would crash it."""

from krita import Krita

if int(Krita.instance().version().split(".")[0]) < 6:
    from PyQt5 import QtCore, QtGui, QtWidgets
else:
    from PyQt6 import QtCore, QtGui, QtWidgets

__all__ = ["QtCore", "QtGui", "QtWidgets"]
