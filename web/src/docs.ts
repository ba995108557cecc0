import "swagger-ui-dist/swagger-ui.css";
import "./docs.css";
import SwaggerUI from "swagger-ui-dist/swagger-ui-es-bundle.js";

const place = document.querySelector<HTMLElement>("[data-document]")!;

SwaggerUI({
  domNode: place,
  url: place.dataset.document!,
  validatorUrl: null, // it would show the document to another host
  deepLinking: false, // it puts links into buttons
  defaultModelsExpandDepth: 0,
  plugins: [() => ({ components: { InfoContainer: () => null } })], // the page has a head of its own
});
