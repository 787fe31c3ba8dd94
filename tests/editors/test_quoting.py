import shutil
import subprocess
import sys

import pytest

from nst_daemon.editors.quoting import lua_literal, python_literal, scheme_literal

ODD = '/home/o\'neill "x"/bäck\\slash/new\nline/\t[[]]$(x)'


def test_python_reads_what_was_meant() -> None:
    code = f"import sys; sys.stdout.buffer.write({python_literal(ODD)}.encode())"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout == ODD.encode()
    )


def test_lua_reads_what_was_meant() -> None:
    lua = shutil.which("lua5.4") or shutil.which("lua")
    if lua is None:
        pytest.skip("NOT TESTED, this is missing: lua. Debian: apt-get install lua5.4")
    code = f"io.write({lua_literal(ODD)})"
    assert subprocess.run([lua, "-e", code], capture_output=True, check=True).stdout == ODD.encode()


def test_lua_reads_names_that_are_no_utf_8() -> None:
    assert lua_literal("caf\udce9") == '"caf\\233"'


def test_a_scheme_string_ends_where_it_is_meant_to() -> None:
    assert scheme_literal('a"b\\c ü') == '"a\\"b\\\\c ü"'
    assert scheme_literal("a\nb") == '"a\\x0ab"'


def test_scheme_is_told_what_it_cannot_read() -> None:
    with pytest.raises(ValueError, match="GIMP"):
        scheme_literal("caf\udce9")
