/** Sizes as people read them. */
const KIB = 1024;
const UNITS = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB'] as const;

/** 1073741824 → "1 GiB", 1610612736 → "1.5 GiB". Rounded to one decimal. */
export function humanSize(bytes: number): string {
  const step = Math.min(UNITS.length - 1, Math.max(0, Math.floor(Math.log2(Math.max(1, bytes)) / 10)));
  return `${Number((bytes / KIB ** step).toFixed(1))} ${UNITS[step]}`;
}
