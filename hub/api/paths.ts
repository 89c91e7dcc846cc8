/** Where the API is below the address of the hub. */

/** Prefix of all routes of the API; the hub serves their description at /api/openapi.json. */
export const API_PREFIX = '/api/v1';

/** A path of encoded segments, below API_PREFIX: `apiPath('projects', name)`. */
export const apiPath = (...segments: string[]): string => `/${segments.map(encodeURIComponent).join('/')}`;
