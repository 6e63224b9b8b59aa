/** Loaded with `--import` into a proxy, with `--expose-gc`: at each SIGUSR2 the heap is collected, so that resident memory is comparable. */
process.on('SIGUSR2', () => globalThis.gc?.());
