import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** A fenced block of a page. */
export interface Block {
  /** As `docs/quotas.md:12`. */
  readonly place: string;
  /** The text after the fence: `yaml`, `sh`, '' … */
  readonly language: string;
  /** Without the indentation that all its lines share. */
  readonly text: string;
}

/** Folders whose Markdown belongs to the documentation. */
const FOLDERS = ['docs', 'examples', 'bench'];

/** Every page of the documentation, from the root of the repository. `root`: that of an unpacked package. */
export function pages(root = '', folders: readonly string[] = FOLDERS): string[] {
  const inFolders = folders.flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' }).map((name) => join(folder, name)),
  );
  return [...readdirSync(root || '.'), ...inFolders]
    .filter((name) => name.endsWith('.md') && !name.includes('node_modules'))
    .map((name) => join(root, name))
    .sort();
}

const FENCE = /^```(\w*)\n(.*?)^```$/gms;

export function blocks(page: string): Block[] {
  const whole = readFileSync(page, 'utf8');
  return [...whole.matchAll(FENCE)].map(({ 1: language = '', 2: text = '', index }) => ({
    place: `${page}:${whole.slice(0, index).split('\n').length}`,
    language,
    text: dedent(text),
  }));
}

function dedent(text: string): string {
  const written = text.split('\n').filter((line) => line.trim() !== '');
  const shared = Math.min(...written.map((line) => line.length - line.trimStart().length));
  return text
    .split('\n')
    .map((line) => line.slice(shared))
    .join('\n');
}

/** The text of a page without its code, in which a link is no link and `#` is no heading. */
const prose = (page: string): string =>
  readFileSync(page, 'utf8')
    .replace(FENCE, '')
    .replace(/`[^`\n]*`/g, (code) => code.replace(/[[\]]/g, ''));

/** The anchors that GitHub gives to the headings of a page. */
function anchors(page: string): Set<string> {
  const seen = new Map<string, number>();
  const found = new Set<string>();
  for (const [, heading = ''] of prose(page).matchAll(/^#{1,6} (.+)$/gm)) {
    const text = heading.replace(/\]\([^)]*\)/g, ']').toLowerCase();
    const slug = text.replace(/[^\p{L}\p{N}\s_-]/gu, '').replace(/\s/g, '-');
    const before = seen.get(slug) ?? 0;
    seen.set(slug, before + 1);
    found.add(before === 0 ? slug : `${slug}-${before}`);
  }
  return found;
}

/** The relative links of a page without a target file or heading. */
export function brokenLinks(page: string): string[] {
  const links = [...prose(page).matchAll(/\]\((?!\w+:)([^)\s]+)\)/g)].map(([, link = '']) => link);
  return links.filter((link) => {
    const [path = '', anchor] = link.split('#');
    const target = path === '' ? page : join(dirname(page), path);
    if (!existsSync(target)) return true;
    if (anchor === undefined) return false;
    return statSync(target).isDirectory() || !anchors(target).has(anchor);
  });
}

/** A path of this repository in code, and whether the page says that it is to be made. */
const PATH = /`((?:src|test|docs|examples|bench|monitoring|\.ci)\/[\w./-]+)`( \(new\))?/g;

/** The files that a page names in code (as `src/app/app.ts`), that do not exist, and that it calls new nowhere. */
export function missingFiles(page: string): string[] {
  const named = [...readFileSync(page, 'utf8').matchAll(PATH)];
  const made = new Set(named.filter(([, , isNew]) => isNew !== undefined).map(([, path]) => path));
  return named.map(([, path = '']) => path).filter((path) => !made.has(path) && !existsSync(path));
}
