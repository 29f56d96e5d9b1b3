/** What every step of the benches returns: 200 bytes as JSON. */
export const outputOf200Bytes = {
  text: "The catch lets the wheel turn forward. ".repeat(5).slice(0, 189),
};
