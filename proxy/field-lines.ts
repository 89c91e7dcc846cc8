/** Fields of a head or of a trailer section, as they stand in HTTP/1.1. @param fields names and values in turn */
export function fieldLines(fields: readonly string[]): string {
  return fields.map((text, index) => (index % 2 === 0 ? `${text}: ` : `${text}\r\n`)).join('');
}
