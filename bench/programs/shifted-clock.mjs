/* Loaded by --import: the wall clock of this process differs by SHIFT_MS milliseconds. */
const shift = Number(process.env['SHIFT_MS'] ?? 0);
const { now } = Date;
Date.now = () => now() + shift;
Object.defineProperty(performance, 'timeOrigin', { value: performance.timeOrigin + shift });
