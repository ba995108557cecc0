import "swagger-ui-dist/swagger-ui.css";
import "./docs.css";
import SwaggerUI from "swagger-ui-dist/swagger-ui-es-bundle.js";

/** The viewer has a night of its own, and asks a class for it. */
function follow(): void {
  const { theme } = document.documentElement.dataset;
  const isNight = theme ? theme === "night" : matchMedia("(prefers-color-scheme: dark)").matches;
  document.documentElement.classList.toggle("dark-mode", isNight);
}

follow();
document.addEventListener("palio:theme", follow);

const place = document.querySelector<HTMLElement>("[data-document]")!;

SwaggerUI({
  domNode: place,
  url: place.dataset.document!,
  validatorUrl: null, // it would show the document to another host
  deepLinking: false, // it puts links into buttons
  defaultModelsExpandDepth: 0,
  plugins: [() => ({ components: { InfoContainer: () => null } })], // the page has a head of its own
});
