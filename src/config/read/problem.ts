export interface Position {
  /** 1-based; 0 if the file could not be read. */
  readonly line: number;
  readonly column: number;
}

/** An error or a warning about a configuration, with the fix. */
export interface Problem extends Position {
  readonly file: string;
  /** `upstreams.stripe.routes[0].retry`; empty for the file as a whole. */
  readonly path: string;
  readonly message: string;
}

export type Path = readonly (string | number)[];

/** `config.yaml:14:23  upstreams.stripe.retry.backoff.base: "100" has no unit; write 100ms or 100s` */
export function formatProblem({ file, line, column, path, message }: Problem): string {
  const place = line === 0 ? file : `${file}:${line}:${column}`;
  return `${place}  ${path === '' ? '' : `${path}: `}${message}`;
}

export function formatPath(path: Path): string {
  let text = '';
  for (const part of path) {
    if (typeof part === 'number') text += `[${part}]`;
    else text += `${text === '' ? '' : '.'}${/^([\w-]+|<<)$/.test(part) ? part : JSON.stringify(part)}`;
  }
  return text;
}
