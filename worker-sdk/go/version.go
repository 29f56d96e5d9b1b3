package pawl

// sdkVersion is the version of this SDK.
const sdkVersion = "0.1.0"
