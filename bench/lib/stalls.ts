import { monitorEventLoopDelay } from 'node:perf_hooks';

/**
 * Loaded with `--import` into the proxy. At each SIGUSR2 it prints the longest stall of the event loop since the last one, in ms:
 * by the clock, and in CPU time of the main thread, which other processes do not lengthen.
 */
const delays = monitorEventLoopDelay({ resolution: 1 });
delays.enable();

let used = cpuMs();
let longest = 0;
setInterval(() => {
  const now = cpuMs();
  longest = Math.max(longest, now - used);
  used = now;
}, 1).unref();

process.on('SIGUSR2', () => {
  process.stderr.write(`stall ${(delays.max / 1e6).toFixed(1)} ${longest.toFixed(1)}\n`);
  delays.reset();
  longest = 0;
});

function cpuMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1_000;
}
