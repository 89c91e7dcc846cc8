/** Image names, as written by users and in Dockerfiles. */

/** Whether the name contains a digest: an engine takes such a name only from a registry. */
export const isPinned = (name: string): boolean => name.includes('@');

/** "registry:5000/node:24" → its repository and tag. */
export function nameParts(name: string): { repository: string; tag: string } {
  const [plain = ''] = name.split('@');
  const at = plain.lastIndexOf(':');
  return at > plain.lastIndexOf('/')
    ? { repository: plain.slice(0, at), tag: plain.slice(at + 1) }
    : { repository: plain, tag: 'latest' };
}
