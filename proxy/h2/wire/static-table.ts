/** The static table of HPACK (RFC 7541 appendix A). */

/** Alternating names and values; the first pair has index 1. */
const TEXT = [
  ':authority||:method|GET|:method|POST|:path|/|:path|/index.html|:scheme|http|:scheme|https|:status|200|:status|204',
  ':status|206|:status|304|:status|400|:status|404|:status|500|accept-charset||accept-encoding|gzip, deflate',
  'accept-language||accept-ranges||accept||access-control-allow-origin||age||allow||authorization||cache-control|',
  'content-disposition||content-encoding||content-language||content-length||content-location||content-range|',
  'content-type||cookie||date||etag||expect||expires||from||host||if-match||if-modified-since||if-none-match|',
  'if-range||if-unmodified-since||last-modified||link||location||max-forwards||proxy-authenticate|',
  'proxy-authorization||range||referer||refresh||retry-after||server||set-cookie||strict-transport-security|',
  'transfer-encoding||user-agent||vary||via||www-authenticate|',
]
  .join('|')
  .split('|');

/** Index 0 is unused. */
export const STATIC_FIELDS: readonly (readonly [name: string, value: string])[] = [
  ['', ''],
  ...Array.from({ length: TEXT.length / 2 }, (_, index): [string, string] => [
    TEXT[index * 2] ?? '',
    TEXT[index * 2 + 1] ?? '',
  ]),
];
