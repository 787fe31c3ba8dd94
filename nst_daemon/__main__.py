"""`python -m nst_daemon`: the same as the `nst-daemon` command."""


def main() -> None:
    """Run the command line."""
    # Here, not above: each process that we spawn imports this module first, and none of them needs commands.
    from nst_daemon.cli import app

    app.main()


if __name__ == "__main__":
    main()
