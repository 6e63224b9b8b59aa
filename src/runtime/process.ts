import about from '../../package.json' with { type: 'json' };

/** Our own version. */
export const packageVersion: string = about.version;

/** `v26.10.0` */
export const nodeVersion: string = process.version;

/** `3.53.4`: the SQLite that this node was built with. */
export const sqliteVersion: string = process.versions['sqlite'] ?? '0';

/** What is wrong with a Node that is older than package.json's `engines` asks for. */
export function tooOldNode(): string | undefined {
  const numbers = (text: string) => text.split(/\D+/).filter(Boolean).map(Number);
  const [major = 0, minor = 0] = numbers(about.engines.node);
  const [ownMajor = 0, ownMinor = 0] = numbers(nodeVersion);
  if (ownMajor > major || (ownMajor === major && ownMinor >= minor)) return undefined;
  return `needs Node ${major}.${minor} or newer; this is ${nodeVersion}`;
}
