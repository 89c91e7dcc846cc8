/** Settings as text: each value with its path for `--setting`. Pure; shared by the CLI and the console. */

/** `limits.memoryMiB` → `512`. Lists stay whole, since they are set as a whole. */
export function settingsLines(settings: object, path = ''): [string, string][] {
  return Object.entries(settings).flatMap(([name, value]: [string, unknown]): [string, string][] => {
    const at = path + name;
    if (typeof value === 'string') return [[at, value]];
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return [[at, JSON.stringify(value)]];
    const below = settingsLines(value, `${at}.`);
    return below.length === 0 ? [[at, '{}']] : below;
  });
}
