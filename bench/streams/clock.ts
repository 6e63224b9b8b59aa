/** `performance.now()` of this process plus this is the time since the machine started, in ms: one clock in all processes. */
const BASE_MS = Number(process.hrtime.bigint()) / 1e6 - performance.now();

/** Time since the machine started, ms. It creates no object, unlike `process.hrtime`. */
export const machineMs = (): number => BASE_MS + performance.now();
