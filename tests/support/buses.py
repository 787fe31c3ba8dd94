"""A session bus for tests, with the services that draw icons and show notices."""

import asyncio
import subprocess
import threading
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, TypeVar

import pytest
from dbus_fast import BusType, Message, Variant
from dbus_fast.aio import MessageBus
from dbus_fast.constants import PropertyAccess
from dbus_fast.service import ServiceInterface, dbus_method, dbus_property, dbus_signal

from support.desktops import ended, needs

T = TypeVar("T")

BUS_SECONDS = 10.0


# ── D-Bus ───────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def bus(monkeypatch: pytest.MonkeyPatch) -> Iterator["Bus"]:
    """Yield a session bus of its own, which the processes that are started find."""
    needs("dbus-daemon")
    command = ["dbus-daemon", "--session", "--nofork", "--print-address"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as daemon:
        assert daemon.stdout is not None
        address = daemon.stdout.readline().strip()
        monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", address)
        bus = Bus(address)
        try:
            yield bus
        finally:
            bus.close()
            ended(daemon)


class Bus:
    """One connection to the bus, with a loop on a thread of its own."""

    def __init__(self, address: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="test-bus")
        self._thread.start()
        self._bus = self.await_(self._connected(address))

    def await_(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(BUS_SECONDS)

    async def _connected(self, address: str) -> MessageBus:
        return await MessageBus(address, BusType.SESSION).connect()

    def serve(self, name: str, path: str, interface: ServiceInterface) -> None:
        async def serve() -> None:
            self._bus.export(path, interface)
            await self._bus.request_name(name)

        self.await_(serve())

    def call(self, to: str, path: str, method: str, signature: str = "", *body: Any) -> list[Any]:
        interface, _, member = method.rpartition(".")
        message = Message(
            destination=to,
            path=path,
            interface=interface,
            member=member,
            signature=signature,
            body=list(body),
        )
        reply = self.await_(self._call(message))
        assert reply is not None
        return list(reply.body)

    async def _call(self, message: Message) -> Message | None:
        return await self._bus.call(message)

    def listen(self, to: Callable[[Message], None]) -> None:
        self.soon(lambda: self._bus.add_message_handler(to))

    def soon(self, call: Callable[[], None]) -> None:
        self._loop.call_soon_threadsafe(call)

    def close(self) -> None:
        async def hang_up() -> None:
            self._bus.disconnect()
            others = asyncio.all_tasks() - {asyncio.current_task()}
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)

        self.await_(hang_up())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class Watcher(ServiceInterface):
    """What KDE and GNOME's extension have: knows all status notifier items."""

    NAME = "org.kde.StatusNotifierWatcher"

    def __init__(self, bus: Bus) -> None:
        super().__init__(self.NAME)
        self.bus = bus
        self.items: list[tuple[str, str]] = []  # connection, path
        bus.listen(self._note)
        bus.serve(self.NAME, "/StatusNotifierWatcher", self)

    @dbus_method()
    def RegisterStatusNotifierItem(self, service: "s") -> None:  # type: ignore[name-defined]  # noqa: F821, N802
        """Noted before: the caller's connection is not to be had here."""

    def _note(self, message: Message) -> None:
        if message.member == "RegisterStatusNotifierItem" and message.sender is not None:
            self.items.append((message.sender, str(message.body[0])))

    @dbus_property(access=PropertyAccess.READ)
    def IsStatusNotifierHostRegistered(self) -> "b":  # type: ignore[name-defined]  # noqa: F821, N802
        return True

    @dbus_property(access=PropertyAccess.READ)
    def ProtocolVersion(self) -> "i":  # type: ignore[name-defined]  # noqa: F821, N802
        return 0

    @dbus_property(access=PropertyAccess.READ)
    def RegisteredStatusNotifierItems(self) -> "as":  # type: ignore[valid-type]  # noqa: F722, N802
        return ["".join(item) for item in self.items]

    @dbus_signal()
    def StatusNotifierHostRegistered(self) -> None:  # noqa: N802
        """Never sent: we are there from the beginning."""


class Notifications(ServiceInterface):
    """What shows notices on a desktop."""

    NAME = "org.freedesktop.Notifications"

    def __init__(self, bus: Bus) -> None:
        super().__init__(self.NAME)
        self.bus = bus
        self.shown: list[tuple[str, str]] = []
        bus.serve(self.NAME, "/org/freedesktop/Notifications", self)

    @dbus_method()
    def GetCapabilities(self) -> "as":  # type: ignore[valid-type]  # noqa: F722, N802
        return ["actions", "body"]

    @dbus_method()
    def GetServerInformation(self) -> "ssss":  # type: ignore[name-defined]  # noqa: F821, N802
        return ["test", "test", "1", "1.2"]

    @dbus_method()
    def Notify(  # noqa: N802
        self,
        app: "s",  # type: ignore[name-defined]  # noqa: F821
        replaces: "u",  # type: ignore[name-defined]  # noqa: F821
        icon: "s",  # type: ignore[name-defined]  # noqa: F821
        title: "s",  # type: ignore[name-defined]  # noqa: F821
        text: "s",  # type: ignore[name-defined]  # noqa: F821
        actions: "as",  # type: ignore[valid-type]  # noqa: F722
        hints: "a{sv}",  # type: ignore[valid-type]  # noqa: F722
        timeout: "i",  # type: ignore[name-defined]  # noqa: F821
    ) -> "u":  # type: ignore[name-defined]  # noqa: F821
        self.shown.append((title, text))
        return len(self.shown)

    @dbus_method()
    def CloseNotification(self, number: "u") -> None:  # type: ignore[name-defined]  # noqa: F821, N802
        """Nobody looks at them."""

    @dbus_signal()
    def ActionInvoked(self, number: int, key: str) -> "us":  # type: ignore[name-defined]  # noqa: F821, N802
        return [number, key]

    @dbus_signal()
    def NotificationClosed(self, number: int, why: int) -> "uu":  # type: ignore[name-defined]  # noqa: F821, N802
        return [number, why]

    def click(self, number: int) -> None:
        self.bus.soon(lambda: self.ActionInvoked(number, "default"))


class Item:
    """The icon as a status notifier host sees it: properties, and a menu."""

    PROPERTIES = "org.freedesktop.DBus.Properties"
    MENU = "com.canonical.dbusmenu"

    def __init__(self, bus: Bus, name: str, path: str) -> None:
        self.bus = bus
        self.name = name
        self.path = path

    def get(self, name: str) -> Any:
        answer = self.bus.call(
            self.name, self.path, f"{self.PROPERTIES}.Get", "ss", "org.kde.StatusNotifierItem", name
        )
        return answer[0].value

    def menu(self) -> dict[str, int]:
        """Return the labels of the menu, sub-menus and all, with their numbers."""
        layout = self.bus.call(self.name, self.get("Menu"), f"{self.MENU}.GetLayout", "iias", 0, -1, [])[1]
        return {label.replace("__", "_"): number for label, number in _labels(layout)}

    def click(self, label: str) -> None:
        event = self.menu()[label], "clicked", Variant("i", 0), 0
        self.bus.call(self.name, self.get("Menu"), f"{self.MENU}.Event", "isvu", *event)


def _labels(layout: Any) -> Iterator[tuple[str, int]]:
    number, properties, children = layout
    if "label" in properties:
        yield properties["label"].value, number
    for child in children:
        yield from _labels(child.value)
