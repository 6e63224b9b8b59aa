import { monitorEventLoopDelay } from 'node:perf_hooks';

/** Loaded with `--import` into the proxy. At each SIGUSR2 it prints the longest stall since the last one, in ms. */
const delays = monitorEventLoopDelay({ resolution: 1 });
delays.enable();
process.on('SIGUSR2', () => {
  process.stderr.write(`stall ${(delays.max / 1e6).toFixed(1)}\n`);
  delays.reset();
});
