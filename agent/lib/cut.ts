/** Shortens text that is too long to be shown whole. */

/** Marks where text was cut off. */
export const CUT = '…';

/** At most `max` characters, the last of them {@link CUT} if there was more: withoutSecrets looks for it. */
export const cutText = (text: string, max: number): string =>
  text.length <= max ? text : `${text.slice(0, max - CUT.length)}${CUT}`;
