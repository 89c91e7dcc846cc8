/** Text about log lines that have left the view. Pure. */

/** @param download maximum number of lines in the download, the newest ones; undefined: it has all */
export function earlierLines(lines: number, download?: number): string {
  const said = lines === 1 ? '1 earlier line' : `${lines.toLocaleString('en')} earlier lines`;
  if (download === undefined) return `${said} ${lines === 1 ? 'is' : 'are'} in the download.`;
  return `${said} left this page. The download has the newest ${download.toLocaleString('en')} lines.`;
}
