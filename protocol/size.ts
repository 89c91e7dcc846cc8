/** Sizes for people to read, on a host, in a terminal and in a browser. */
const KIB = 1024;
/** Bytes. */
export const MIB = KIB ** 2;
const UNITS = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB'] as const;

/** 1073741824 → "1 GiB", 1610612736 → "1.5 GiB". Rounded to one decimal. */
export function humanSize(bytes: number): string {
  if (bytes === 1) return '1 byte';
  let step = 0;
  let size = bytes;
  // Compare the rounded size, so that 1048575 bytes are "1 MiB" rather than "1024 KiB".
  while (rounded(size) >= KIB && step < UNITS.length - 1) {
    size /= KIB;
    step += 1;
  }
  return `${rounded(size)} ${UNITS[step]}`;
}

const rounded = (size: number): number => Number(size.toFixed(1));
