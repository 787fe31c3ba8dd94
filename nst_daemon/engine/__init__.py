"""Pictures in, pictures out: neural style transfer with VGG19. Tensors never leave this package.

`process` is what the rest of the program uses; it imports no torch. Everything else runs in the
engine's own process.
"""
