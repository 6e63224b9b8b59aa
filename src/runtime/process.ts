import about from '../../package.json' with { type: 'json' };

/** Version of Breakwater. */
export const packageVersion: string = about.version;

/** `v26.10.0` */
export const nodeVersion: string = process.version;

/** `3.53.4`: the SQLite in this Node. */
export const sqliteVersion: string = process.versions['sqlite'] ?? '0';

/** A message if Node is older than `engines` in package.json; undefined otherwise. */
export function tooOldNode(): string | undefined {
  const numbers = (text: string) => text.split(/\D+/).filter(Boolean).map(Number);
  const [major = 0, minor = 0] = numbers(about.engines.node);
  const [ownMajor = 0, ownMinor = 0] = numbers(nodeVersion);
  if (ownMajor > major || (ownMajor === major && ownMinor >= minor)) return undefined;
  return `needs Node ${major}.${minor} or newer; this is ${nodeVersion}. npm can bring it: npx -p node@${major} -p breakwater breakwater`;
}

/**
 * Caches compiled code in the folder of the bundle, which saves later starts a fifth of their CPU. Other users can write the
 * system's temporary folder, and so could place code there. Without permission to write, Node continues without a cache.
 * `main`: path of the entry point.
 */
export function cacheCompiledCode(main: string): void {
  const { enableCompileCache } = process.getBuiltinModule('node:module');
  const { dirname, join } = process.getBuiltinModule('node:path');
  if (main.endsWith('.js')) enableCompileCache(join(dirname(main), '.compile-cache'));
}

/**
 * V8 allocates kinds of objects that have lived long in its old generation. After some hundred calls at once, these were objects of
 * each later call. Dead ones are found late there, and keep alive what they refer to: V8 copied 6 KB of each call twice. So all objects
 * begin in the young generation. For use after the start: with other flags, V8 does not use its cached code of Node's own modules.
 */
export function allocateYoung(): void {
  // V8 would not use what is written after the change at the next start.
  process.getBuiltinModule('node:module').flushCompileCache();
  process.getBuiltinModule('node:v8').setFlagsFromString('--no-allocation-site-pretenuring');
}
