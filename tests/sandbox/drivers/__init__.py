"""Programs that the tests run in processes of their own: entering namespaces is for good."""
