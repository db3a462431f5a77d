// The page begins: at the data for those who asked for less motion, else with noise that turns into data once.

fillWords();
makePanels();
bindSwitches();
drawSignal();
watchTheme(redraw);
const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
goTo(still ? 0 : 1);
play(!still);
