int clibtorch_room(void) { return 0; }
