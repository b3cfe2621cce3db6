"""Running a test script with its machines by name, as the driver of NixOS does."""
