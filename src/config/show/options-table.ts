import type * as z from 'zod';
import { type BuiltIn, isList, keysOf, leafOf } from '../fields/field.ts';
import { fileSchema } from '../keys/schema.ts';

/** Every key of config.yaml as a Markdown table, for docs/keys.md. */
export function renderOptionsTable(): string {
  const rows = [
    ...rowsOf(fileSchema, [], ['defaults', 'upstreams']).map((row) => ({ ...row, where: 'top' })),
    ...settingRows(),
  ];
  const lines = rows.map(({ key, type, builtIn, where, doc }) => {
    return `| \`${key}\` | ${where} | ${cell(type)} | ${builtIn === undefined ? '' : `\`${shown(builtIn)}\``} | ${cell(doc)} |`;
  });
  return ['| Key | In | Value | Default | Meaning |', '| --- | --- | --- | --- | --- |', ...lines, ''].join(
    '\n',
  );
}

interface Row {
  readonly key: string;
  readonly type: string;
  readonly builtIn: BuiltIn | undefined;
  readonly doc: string;
}

/** Keys of upstreams, then keys that defaults, upstreams and routes share, then keys of routes. */
function settingRows(): (Row & { where: string })[] {
  const defaults = rowsOf(at(fileSchema, ['defaults']), []);
  const upstream = rowsOf(at(fileSchema, ['upstreams', '']), [], ['routes']);
  const route = rowsOf(at(fileSchema, ['upstreams', '', 'routes', '']), []);
  const has = (rows: readonly Row[], { key }: Row): boolean => rows.some((row) => row.key === key);
  return [
    ...upstream.filter((row) => !has(defaults, row)).map((row) => ({ ...row, where: 'upstream' })),
    ...defaults.map((row) => ({
      ...row,
      where: has(route, row) ? 'defaults, upstream, route' : 'defaults, upstream',
    })),
    ...route.filter((row) => !has(defaults, row)).map((row) => ({ ...row, where: 'route' })),
  ];
}

function rowsOf(schema: z.ZodType, path: readonly string[], leaveOut: readonly string[] = []): Row[] {
  return Object.entries(keysOf(schema) ?? {}).flatMap(([name, child]) => {
    if (leaveOut.includes(name)) return [];
    const below = [...path, name === '' && !isList(schema) ? '<name>' : name];
    const leaf = leafOf(child);
    return leaf === undefined
      ? rowsOf(child, below)
      : [{ key: below.join('.').replaceAll('..', '[].'), ...leaf }];
  });
}

function at(schema: z.ZodType, path: readonly string[]): z.ZodType {
  return path.reduce((outer, key) => keysOf(outer)?.[key] ?? outer, schema);
}

function shown(builtIn: BuiltIn): string {
  return Array.isArray(builtIn) ? `[${builtIn.join(', ')}]` : String(builtIn);
}

const cell = (text: string): string => text.replaceAll('|', '\\|').replaceAll('<', '&lt;');
