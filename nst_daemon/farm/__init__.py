"""One ledger, and engines on other machines. Needs the extra `farm`; imported only where a farm is used."""
