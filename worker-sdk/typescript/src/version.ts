/** The version of this SDK; package.json has the same. */
export const sdkVersion = "0.1.0";
