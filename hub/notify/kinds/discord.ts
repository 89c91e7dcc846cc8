/** A webhook of a Discord channel. */
import { textOf } from '../text.ts';
import { type Kind, postJson, shownUrl } from './kind.ts';

/** Discord refuses what is longer. */
const MOST_CHARACTERS = 2000;

export const discord: Kind = {
  signs: false,
  shown: shownUrl,
  send: (message, { address }, { post }) =>
    // Nobody is called by a name that stands in an error.
    post(postJson(address, { content: textOf(message, MOST_CHARACTERS), allowed_mentions: { parse: [] } })),
};
