import { renameSync, writeFileSync } from 'node:fs';

/**
 * Loaded with `--import` and `--expose-gc` into a proxy. At each SIGUSR2 it collects garbage and writes the bytes in use, of the
 * heap and of buffers, to $HEAP_FILE.
 */
process.on('SIGUSR2', () => {
  const { gc } = globalThis;
  const file = process.env['HEAP_FILE'];
  if (gc === undefined || file === undefined) throw new Error('needs --expose-gc and HEAP_FILE');
  // The first collection runs finalizers, which release more.
  gc();
  setTimeout(() => {
    gc();
    const { heapUsed, external } = process.memoryUsage();
    writeFileSync(`${file}.part`, String(heapUsed + external));
    renameSync(`${file}.part`, file);
  }, 50);
});
