# nst-daemon plug-in @VERSION@
"""A docker that has the image painted in a style, and brings the painting back as a layer.

It touches files in nst-daemon's exchange folder and nothing else: no process is started, nothing that lies
there is run, and all waiting is a timer's. For Krita 5.1 and later, with a Python of 3.8 or later.
"""

from krita import DockWidgetFactory, DockWidgetFactoryBase, Krita

from .docker import PaintDocker

DOCKER = "nst_daemon_docker"

Krita.instance().addDockWidgetFactory(
    DockWidgetFactory(DOCKER, DockWidgetFactoryBase.DockPosition.DockRight, PaintDocker)
)
