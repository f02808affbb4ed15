"""Which commands are there? A module for each panel of the help; alerts and rehearsing have their own folders."""
