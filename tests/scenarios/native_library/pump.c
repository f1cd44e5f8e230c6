int pump(void) { return 7; }
