/* The page: takes pictures, sends them to this service, and shows what the service says of each.
   Nothing is kept beyond the tab, and no other host is asked for anything.

   Each layer imports only those after it: main, gallery, answer, pictures, service. What a module has
   to tell a higher one is a signal, and this module connects the two. */

import { saveTable } from "./answer/saving.js";
import { byId } from "./dom.js";
import { add, announceDone, forget, remove, showAnswersOf, showPicture, undoRemoval } from "./gallery.js";
import { pictureChanged, pictures, selected } from "./pictures/list.js";
import { pictureDone, sendNext, sendRefusedForKey } from "./pictures/queue.js";
import { drawSample } from "./pictures/sample.js";
import { keyAccepted, keyWanted, readContractIfNew, submitKey } from "./service/access.js";
import { contractLearned } from "./service/contracts.js";
import { healthRead, watch } from "./service/health.js";

pictureChanged.listen(showPicture);
pictureDone.listen(announceDone);
contractLearned.listen(showAnswersOf);
keyWanted.listen(() => pictures.forEach(showPicture));
keyAccepted.listen(sendRefusedForKey);
healthRead.listen(readContractIfNew);
healthRead.listen(sendNext);

const holdsFiles = (event) => event.dataTransfer?.types.includes("Files");

byId("files").addEventListener("change", ({ target }) => {
  add(target.files);
  target.value = ""; // so that the same file can be chosen again
});
byId("sample").addEventListener("click", () => drawSample((file) => add([file], { isDrawn: true })));
byId("remove").addEventListener("click", () => remove([selected]));
byId("clear").addEventListener("click", () => remove(pictures));
byId("table").addEventListener("click", saveTable);
byId("undo-button").addEventListener("click", undoRemoval);
byId("forget").addEventListener("click", () => {
  forget();
  byId("add").focus();
});
byId("key").addEventListener("submit", submitKey);
addEventListener("paste", ({ clipboardData }) => add(clipboardData.files));
addEventListener("dragover", (event) => {
  if (!holdsFiles(event)) return;
  event.preventDefault();
  byId("add").classList.add("over");
});
addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) byId("add").classList.remove("over");
});
addEventListener("drop", (event) => {
  byId("add").classList.remove("over");
  if (!holdsFiles(event)) return;
  event.preventDefault();
  add(event.dataTransfer.files);
});
addEventListener("beforeunload", (event) => {
  if (pictures.some(({ isDrawn }) => !isDrawn)) event.preventDefault(); // nothing of them is kept
});
byId("scriptless").remove();
byId("add").hidden = byId("state").hidden = false;
watch();
