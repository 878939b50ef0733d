"""Where alarms come in: HTTP bodies of any detector become one signal to one endpoint's lifecycle."""
