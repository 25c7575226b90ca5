"""What the operating system gives: processes, control groups, packages, ports."""
