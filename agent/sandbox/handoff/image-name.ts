/** Image names, as written by users and in Dockerfiles, and ids for people to read. */

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

/** "sha256:" and the first twelve digits. */
export const shortId = (id: string): string => id.slice(0, 'sha256:'.length + 12);
