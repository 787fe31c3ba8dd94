"""Inside the editors: what their plug-ins order is answered, and the plug-ins are put where they belong."""
