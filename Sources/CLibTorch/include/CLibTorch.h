int clibtorch_room(void);
