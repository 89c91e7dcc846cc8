/** Text that is too long to be shown whole. */

/** Stands where something was cut off. */
export const CUT = '…';

/** At most `max` characters, the last of them {@link CUT} when more was there: secrets are looked for in front of it. */
export const cutText = (text: string, max: number): string =>
  text.length <= max ? text : `${text.slice(0, max - CUT.length)}${CUT}`;
