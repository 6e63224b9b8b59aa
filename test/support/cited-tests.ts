import { readFileSync } from 'node:fs';

/** The tests, cited as `file › title`, that do not exist. `cell`: a cell of a table. */
export function missingTests(cell: string): string[] {
  return cell.split('<br>').filter((cited) => {
    const [file = '', title = ''] = cited.trim().split(' › ');
    const source = file.startsWith('test/') && title !== '' ? readFileSync(file, 'utf8') : '';
    return !['"', "'", '`'].some((quote) => source.includes(`${quote}${title}${quote}`));
  });
}
