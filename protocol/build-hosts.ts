/** The allow-list of hosts for a build whose network access is limited. */
import { z } from 'zod';

const label = '[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?';
/** The last label has a letter, because most programs take a name that ends in a number for an address. */
const name = `(?:${label}\\.)*(?=[0-9-]*[a-z])${label}`;
const octet = '(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])';
const address = `(?:${octet}\\.){3}${octet}`;
const port = ':[1-9][0-9]{0,4}';

/**
 * `name`, `*.name` (every name below it) or an IPv4 address, each with `:port` or for ports 80 and 443. Or an IPv4
 * network, `10.1.0.0/16`. Private addresses are reachable only if an address or a network of the list covers them.
 */
export const BuildHost = z
  .string()
  .max(270)
  .regex(
    new RegExp(`^(?:(?:\\*\\.)?${name}(?:${port})?|${address}(?:${port})?|${address}/(?:[89]|[12][0-9]|3[0-2]))$`),
    'name, *.name or an IPv4 address, each with or without :port, or an IPv4 network of at least /8',
  )
  .refine((text) => Number(/:(\d+)$/.exec(text)?.[1] ?? 1) <= 65_535, 'a port is at most 65535');

export const BuildHosts = z.array(BuildHost).max(100);
