// One colour and one dash pattern for each family of emotions: GoEmotions' published grouping into Ekman's families,
// contempt on its own. Calm and boredom, which that set lacks, stand with neutral: little shows of either.
const FAMILIES = {
  happiness: ["happiness", "joy", "amusement", "approval", "excitement", "gratitude", "love", "optimism", "relief", "pride", "admiration", "desire", "caring", "happy"],
  surprise: ["surprise", "realization", "confusion", "curiosity", "surprised"],
  sadness: ["sadness", "disappointment", "embarrassment", "grief", "remorse", "sad"],
  anger: ["anger", "annoyance", "disapproval", "angry"],
  disgust: ["disgust", "disgusted"],
  fear: ["fear", "nervousness", "afraid", "nervous"],
  contempt: ["contempt", "contemptuous"],
  neutral: ["neutral", "calm", "boredom"],
};
const DASHES = { happiness: "", surprise: "7 3", sadness: "2 3", anger: "11 3 2 3", disgust: "1 4", fear: "5 5", contempt: "12 5", neutral: "3 7" };
const familyOf = (label) => Object.keys(FAMILIES).find((family) => FAMILIES[family].includes(label)) || "none";
const colourOf = (label) => `var(--${familyOf(label)})`;
const leading = (part) => (part.emotions || part.expressions || [])[0];
const leadingName = (part) => (leading(part) || {}).label;
