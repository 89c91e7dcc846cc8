/** Texts about failing certificates. Pure; shared by the CLI and the console. */
import type { Environment } from '../../api/schemas.ts';

type Failing = Environment['certificates'][number];

/** `shop.example.com has no valid certificate: …` */
export const certificateLine = ({ host, error, notAfter }: Failing): string =>
  `${host} ${notAfter === null ? 'has no valid certificate' : `has a certificate that ends ${notAfter.slice(0, 10)}`}: ${error.message}`;
