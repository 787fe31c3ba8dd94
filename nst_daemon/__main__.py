"""`python -m nst_daemon`: the same as the `nst-daemon` command."""

from nst_daemon.cli.app import main

if __name__ == "__main__":
    main()
